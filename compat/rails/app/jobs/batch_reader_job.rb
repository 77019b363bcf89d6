# frozen_string_literal: true

# A callback that records the batch as it reads it; Node does not know its name, its queue or its priority.
class BatchReaderJob < ApplicationJob
  queue_as 'only_ruby'
  queue_with_priority 4

  def perform(batch, context)
    record(
      'batch_read',
      event: context[:event], batch_id: batch.id, description: batch.description, members: batch.active_jobs.size,
      properties: VectorValues.describe(batch.properties)
    )
    batch.properties[:read_in] = 'ruby'
    batch.save
  end
end
