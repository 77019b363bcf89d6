# frozen_string_literal: true

# A callback that is itself discarded until a retry lets it pass.
class FailingCallbackJob < ApplicationJob
  class Failed < StandardError; end

  def perform(batch, context)
    raise Failed, "#{context[:event]} callback failed on purpose" if CompatFailure.take("#{context[:event]} of #{batch.properties[:name]}")

    record('callback', event: context[:event], batch_id: batch.id, properties: batch.properties)
  end
end
