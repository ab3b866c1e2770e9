"""What makes the resources on AWS: our Terraform templates, where they are used, and how.

Nothing here asks or prints; ``cli/deploy.py`` does, and Covalent's own ``covalent deploy`` by way
of ``covalent_compat``.
"""
