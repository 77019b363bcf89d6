# frozen_string_literal: true

class MoneySerializer < ActiveJob::Serializers::ObjectSerializer
  def serialize(money) = super('amount' => money.amount, 'currency' => money.currency)

  def deserialize(hash) = Money.new(hash['amount'], hash['currency'])

  def klass = Money
end
