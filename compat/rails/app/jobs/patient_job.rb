# frozen_string_literal: true

# Its retry stays in the future for the whole test.
class PatientJob < ApplicationJob
  class NotYet < StandardError; end

  retry_on NotYet, wait: 1.hour, jitter: 0, attempts: 5

  def perform = raise(NotYet, 'come back in an hour')
end
