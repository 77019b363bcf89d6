# frozen_string_literal: true

# Makes visible in the database what a test would otherwise have to wait for blindly. A worker's thread has ended a task only
# after the batch bookkeeping, which comes after the outcome is committed.
if ENV.key?('COMPAT_WORKER')
  ActiveSupport::Notifications.subscribe('notifier_listen.good_job') { CompatEvent.record('worker_listening') }

  ActiveSupport::Notifications.subscribe('perform_job.good_job') do |event|
    Thread.current[:compat_performed] = (event.payload[:job] || event.payload[:execution]).active_job_id
  end

  ActiveSupport::Notifications.subscribe('finished_job_task.good_job') do
    job_id = Thread.current[:compat_performed]
    Thread.current[:compat_performed] = nil
    CompatEvent.record('task_finished', job_id: job_id) if job_id
  end
end
