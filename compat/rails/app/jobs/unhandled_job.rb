# frozen_string_literal: true

class UnhandledJob < ApplicationJob
  class Unexpected < StandardError; end

  def perform = raise(Unexpected, 'unhandled on purpose')
end
