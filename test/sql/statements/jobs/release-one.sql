UPDATE good_jobs SET locked_by_id = NULL, locked_at = NULL WHERE id = $1 RETURNING id;
