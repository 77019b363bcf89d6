# frozen_string_literal: true

# Evaluates the Ruby expressions of the argument vectors; the classes they name are below app/models.
module VectorValues
  module_function

  # Some need what they name: OpenStruct is not loaded by Rails.
  def evaluate(expression)
    require 'ostruct'
    TOPLEVEL_BINDING.eval(expression)
  end

  # The value as a job gets it: out of the arguments that Active Job stored, through the column's own type, which for example
  # sorts the keys of a hash.
  def round_trip(value)
    text = ActiveSupport::JSON.encode(ActiveJob::Arguments.serialize([value]))
    stored = ActiveRecord::Base.connection_pool.with_connection do |connection|
      connection.select_value("SELECT #{connection.quote(text)}::jsonb::text")
    end
    ActiveJob::Arguments.deserialize(JSON.parse(stored)).first
  end

  # A text that differs for values that a job can distinguish.
  def describe(value)
    { class: value.class.name, inspect: value.inspect, serialized: JSON.generate(ActiveJob::Arguments.serialize([value])) }
  end
end
