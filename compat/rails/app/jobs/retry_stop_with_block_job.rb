# frozen_string_literal: true

class RetryStopWithBlockJob < ApplicationJob
  class Hopeless < StandardError; end

  retry_on(Hopeless, wait: 0, jitter: 0, attempts: 2) { |job, error| job.send(:record, 'exhausted', message: error.message) }

  def perform = raise(Hopeless, 'fails every time')
end
