"""What Kibana shows: data views, saved searches and dashboards, and bringing them there."""
