# frozen_string_literal: true

# A job that a test controls by its name: it waits while its gate is shut, and fails as often as CompatFailure says.
class MemberJob < ApplicationJob
  class Failed < StandardError; end

  def perform(name)
    record('started', name: name)
    Gate.pass(name)
    raise Failed, "#{name} failed on purpose" if CompatFailure.take(name)

    record('performed', name: name)
  end
end
