# frozen_string_literal: true

class PriorityJob < ApplicationJob
  queue_with_priority 7

  def perform(name) = record('performed', name: name)
end
