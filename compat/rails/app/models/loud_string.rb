# frozen_string_literal: true

class LoudString < String
end
