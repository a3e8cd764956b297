-- Gives the setting :name the value :value.
UPDATE setting SET value = :value WHERE name = :name
