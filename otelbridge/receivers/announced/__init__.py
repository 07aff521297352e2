"""Programs without OpenTelemetry: what they post or send by WebSocket, made records like any."""
