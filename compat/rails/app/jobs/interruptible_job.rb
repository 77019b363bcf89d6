# frozen_string_literal: true

# Waits at its gate, and raises InterruptError if its previous run was interrupted.
class InterruptibleJob < ApplicationJob
  include GoodJob::ActiveJobExtensions::InterruptErrors

  retry_on GoodJob::InterruptError, wait: 0, jitter: 0, attempts: 5

  def perform(name)
    record('started', name: name)
    Gate.pass(name)
    record('performed', name: name)
  end
end
