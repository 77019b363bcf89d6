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

  # Limited classes, also in Node: for each limit one with a concurrency key, one with a label, and one with both. The third
  # shares the scopes of the others.
  [1, 3].each do |limit|
    scope = "fleet-#{limit}"
    by_key = lambda do |job_class|
      job_class.good_job_control_concurrency_with(key: scope, perform_limit: limit)
    end
    by_label = lambda do |job_class|
      job_class.good_job_labels = [scope]
      # Versions before 4.16 have no rules.
      job_class.good_job_concurrency_rule(label: scope, perform_limit: limit) if job_class.respond_to?(:good_job_concurrency_rule)
    end

    { 'Key' => [by_key], 'Label' => [by_label], 'Both' => [by_key, by_label] }.each do |kind, declarations|
      job_class = Class.new(Base) do
        include GoodJob::ActiveJobExtensions::Labels
        include GoodJob::ActiveJobExtensions::Concurrency

        queue_as 'limited'
      end
      const_set("#{kind}#{limit}Job", job_class)
      declarations.each { |declare| declare.call(job_class) }
    end
  end

  # Enqueues from the side of Ruby, while the fleet works.
  class EnqueueJob < ApplicationJob
    queue_as 'ruby'

    def perform(plans)
      plans.each { |name, options, plan| name.constantize.set(**options.symbolize_keys).perform_later(*plan) }
    end
  end
end
