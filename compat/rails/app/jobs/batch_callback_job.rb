# frozen_string_literal: true

class BatchCallbackJob < ApplicationJob
  def perform(batch, context)
    record('callback', event: context[:event], batch_id: batch.id, properties: batch.properties)
    Gate.pass("callbacks of #{batch.properties[:name]}")
  end
end
