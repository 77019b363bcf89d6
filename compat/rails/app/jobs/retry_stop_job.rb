# frozen_string_literal: true

class RetryStopJob < ApplicationJob
  class Hopeless < StandardError; end

  retry_on Hopeless, wait: 0, jitter: 0, attempts: 2

  def perform = raise(Hopeless, 'fails every time')
end
