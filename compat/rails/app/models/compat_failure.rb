# frozen_string_literal: true

# How often the member of a name still has to fail; a test decides, whichever language runs the member.
class CompatFailure < ApplicationRecord
  def self.take(name)
    where(name: name).where('remaining > 0').update_all('remaining = remaining - 1') == 1
  end
end
