-- Changes are made by hand again.
DELETE FROM change_author
