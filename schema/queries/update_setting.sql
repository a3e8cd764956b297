-- Gives the setting :name the value :value. A row tells that there is such a setting.
UPDATE setting SET value = :value WHERE name = :name RETURNING name
