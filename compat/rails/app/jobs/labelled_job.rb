# frozen_string_literal: true

class LabelledJob < ApplicationJob
  include GoodJob::ActiveJobExtensions::Labels

  self.good_job_labels = %w[compat blue]

  def perform(name) = record('performed', name: name)
end
