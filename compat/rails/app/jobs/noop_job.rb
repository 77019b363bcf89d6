# frozen_string_literal: true

# For benchmarks: costs what the queue costs.
class NoopJob < ActiveJob::Base
  def perform; end
end
