# frozen_string_literal: true

# What jobs of either language did, in the order in which they said so.
class CompatEvent < ApplicationRecord
  # On a connection of its own: an event stays even when the transaction around it is rolled back.
  def self.record(name, **payload)
    Thread.new do
      connection_pool.with_connection { create!(name: name, payload: { side: 'ruby', pid: Process.pid, **payload }) }
    end.join
  end
end
