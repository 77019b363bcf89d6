# frozen_string_literal: true

class Money
  attr_reader :amount, :currency

  def initialize(amount, currency)
    @amount = amount
    @currency = currency
  end

  def ==(other) = other.is_a?(Money) && [other.amount, other.currency] == [amount, currency]

  def inspect = "#<Money #{amount} #{currency}>"
end
