# frozen_string_literal: true

class ApplicationJob < ActiveJob::Base
  include GoodJob::ActiveJobExtensions::Batches

  private

  def record(name, **payload)
    CompatEvent.record(name, job_id: job_id, job_class: self.class.name, executions: executions, **payload)
  end
end
