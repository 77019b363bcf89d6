# frozen_string_literal: true

# Says what arrived, beside what the expression gives here.
class EchoJob < ApplicationJob
  def perform(expression, value)
    expected = VectorValues.round_trip(VectorValues.evaluate(expression))
    record('echo', expression: expression, expected: VectorValues.describe(expected), received: VectorValues.describe(value))
  end
end
