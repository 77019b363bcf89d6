# frozen_string_literal: true

# Fails three times in all, wherever it runs; each retry waits until a test calls it.
class CountedJob < ApplicationJob
  class Failed < StandardError; end

  retry_on Failed, wait: 1.hour, jitter: 0, attempts: 3

  def perform(*) = raise(Failed, "attempt #{executions}")
end
