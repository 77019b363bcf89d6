# frozen_string_literal: true

class CronJob < ApplicationJob
  def perform(key) = record('performed', key: key)
end
