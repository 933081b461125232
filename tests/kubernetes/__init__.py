"""The deployment on Kubernetes, as far as a machine without a cluster can try it."""
