# frozen_string_literal: true

# One at a time, as far as Ruby decides.
class LimitedJob < ApplicationJob
  include GoodJob::ActiveJobExtensions::Concurrency

  good_job_control_concurrency_with(perform_limit: 1, key: 'limited')

  def perform(name)
    record('started', name: name)
    Gate.pass(name)
    record('performed', name: name)
  end
end
