-- Whose database this is and which schema it has; answers in any SQLite database.
SELECT application_id, user_version FROM pragma_application_id, pragma_user_version
