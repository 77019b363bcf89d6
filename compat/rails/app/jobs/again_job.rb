# frozen_string_literal: true

# Asks once to run again, without an error and without a wait.
class AgainJob < ApplicationJob
  def perform
    retry_job if executions == 1
  end
end
