# frozen_string_literal: true

# For benchmarks: NoopJob with the rule that BENCH_RULE names. Jobs that are enqueued get the keys in turn; stored ones keep theirs.
class LimitedNoopJob < ActiveJob::Base
  include GoodJob::ActiveJobExtensions::Concurrency

  class << self
    def limit(keys: 1, **limits)
      enqueued = -1
      throttle = limits.delete(:enqueueThrottle)
      limits[:enqueueThrottle] = [throttle.first, throttle.last.seconds] if throttle
      named = limits.transform_keys { |name| name.to_s.underscore.to_sym }
      good_job_control_concurrency_with(**named, key: -> { "bench-#{(enqueued += 1) % keys}" })
    end
  end

  limit(**JSON.parse(ENV.fetch('BENCH_RULE', '{}'), symbolize_names: true))

  def perform; end
end
