# frozen_string_literal: true

# Says what arrived, beside what the expression gives here. The value comes first: a hash of keywords at the end would become
# keywords.
class EchoJob < ApplicationJob
  def perform(value, expression)
    expected = VectorValues.round_trip(VectorValues.evaluate(expression))
    record('echo', expression: expression, expected: VectorValues.describe(expected), received: VectorValues.describe(value))
  end
end
