"""What installs and watches the platform in containers. Rests on the standard library, but for the worker's health check."""
