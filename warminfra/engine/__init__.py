"""The container engine behind the ports: Docker, by docker-py. Imported only where one is used."""
