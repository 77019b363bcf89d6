# frozen_string_literal: true

# Looks to Active Job like parameters of a request.
class PlainParams
  def initialize(hash)
    @hash = hash
  end

  def permitted? = true

  def to_h = @hash.with_indifferent_access
end
