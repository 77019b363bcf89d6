# frozen_string_literal: true

module Blog
  class Post < Person
  end
end
