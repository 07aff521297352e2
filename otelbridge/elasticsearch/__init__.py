"""What is stored in Elasticsearch and how it is reached; both halves of the package use it."""
