-- Until delete_change_author, in the same transaction, all changes are those of :name.
INSERT INTO change_author (name) VALUES (:name)
