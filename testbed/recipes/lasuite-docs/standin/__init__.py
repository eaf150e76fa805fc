"""The stand-in's Django app: a user model as in docs, one page, the login of django-lasuite."""
