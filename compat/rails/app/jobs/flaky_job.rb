# frozen_string_literal: true

class FlakyJob < ApplicationJob
  class Hiccup < StandardError; end

  retry_on Hiccup, wait: 0, jitter: 0, attempts: 5

  def perform(failures)
    raise Hiccup, "attempt #{executions} of #{failures} that fail" if executions <= failures

    record('performed', failures: failures)
  end
end
