# frozen_string_literal: true

# A job whose course a test decides by the name: it waits while the gate is shut, and fails as often as told.
class MemberJob < ApplicationJob
  class Failed < StandardError; end

  def perform(name)
    record('started', name: name)
    Gate.pass(name)
    raise Failed, "#{name} was told to fail" if CompatFailure.take(name)

    record('performed', name: name)
  end
end
