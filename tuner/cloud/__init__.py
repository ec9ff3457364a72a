"""Google's services: buckets, jobs, their JSON. Imports search and below."""
