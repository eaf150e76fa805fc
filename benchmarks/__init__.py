"""`make bench`: what a lease costs, each figure beside what it is measured against."""
