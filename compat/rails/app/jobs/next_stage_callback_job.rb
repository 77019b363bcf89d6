# frozen_string_literal: true

# Adds the second stage to its own batch, once.
class NextStageCallbackJob < ApplicationJob
  def perform(batch, context)
    record('callback', event: context[:event], batch_id: batch.id, properties: batch.properties)
    return if batch.properties[:stage] == 2

    batch.properties[:stage] = 2
    batch.save
    batch.enqueue do
      MemberJob.set(queue: batch.properties[:next_queue] || 'default').perform_later(batch.properties[:next_member])
    end
  end
end
