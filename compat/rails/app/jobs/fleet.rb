# frozen_string_literal: true

# The jobs of a mixed fleet: each writes its own beginning and end to the ledger, and does what its arguments say.
module Fleet
  class Hiccup < StandardError; end
  class Broken < StandardError; end

  class Base < ApplicationJob
    retry_on Hiccup, wait: 1, jitter: 0, attempts: 20

    def perform(milliseconds, failures, breaks)
      FleetLedger.attempt(self) do
        sleep(milliseconds / 1000.0)
        raise Hiccup, "run #{executions} of #{failures} that are retried" if executions <= failures
        raise Broken, "run #{executions} breaks" if executions <= failures + breaks
      end
    end
  end

  # Also a class in Node.
  class SharedJob < Base
    queue_as 'shared'
  end

  class RubyJob < Base
    queue_as 'ruby'
  end

  # Enqueues from the side of Ruby, while the fleet works.
  class EnqueueJob < ApplicationJob
    queue_as 'ruby'

    def perform(plans)
      plans.each { |name, options, plan| name.constantize.set(**options.symbolize_keys).perform_later(*plan) }
    end
  end
end
