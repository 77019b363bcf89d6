# frozen_string_literal: true

# What the jobs of a mixed fleet say themselves, on connections of its own: a line stays when the transaction around it is rolled
# back, and when a fault hits the connections of GoodJob.
class FleetLedger < ActiveRecord::Base
  self.abstract_class = true
  establish_connection(url: ENV.fetch('LEDGER_URL'), pool: 30) if ENV.key?('LEDGER_URL')

  BEGIN_ATTEMPT = <<~SQL
    INSERT INTO fleet_attempts (job_id, job_class, executions, side, strategy, worker, due_at)
    VALUES ($1, $2, $3, 'ruby', $4, $5, $6) RETURNING id
  SQL
  END_ATTEMPT = 'UPDATE fleet_attempts SET ended_at = clock_timestamp(), outcome = $2 WHERE id = $1'

  def self.attempt(job)
    entry = begin_attempt(job)
    outcome = 'failed'
    yield
    outcome = 'done'
  ensure
    write(END_ATTEMPT, [entry, outcome]) if entry
  end

  def self.begin_attempt(job)
    strategy = ENV.fetch('GOOD_JOB_LOCK_STRATEGY', 'advisory')
    values = [job.job_id, job.class.name, job.executions, strategy, ENV.fetch('FLEET_WORKER'), job.scheduled_at&.utc&.iso8601(6)]
    write(BEGIN_ATTEMPT, values).first['id']
  end

  def self.write(statement, values)
    connection_pool.with_connection { |connection| connection.exec_query(statement, 'Ledger', values, prepare: true) }
  end
end
