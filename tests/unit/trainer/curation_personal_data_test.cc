#include "stoa/trainer/curation/personal_data.h"

#include <gmock/gmock.h>

#include <random>

#include "stoa/trainer/curation/personal_data_scanners.h"
#include "stoa/trainer/curation/personal_data_step.h"

namespace stoa::trainer {
namespace {

std::string masked(std::string_view text) {
  std::vector<PersonalData> found;
  find_personal_data(text, {}, found);
  return without_personal_data(text, found);
}

struct Case {
  std::string text, masked;
};

void expect_all(std::initializer_list<Case> cases) {
  for (const Case& c : cases) EXPECT_EQ(masked(c.text), c.masked) << c.text;
}

void expect_untouched(std::initializer_list<std::string> texts) {
  for (const std::string& text : texts) EXPECT_EQ(masked(text), text);
}

TEST(PersonalData, FindsEmailAddresses) {
  expect_all({{"Write to jane.doe+lists@mail.example.org.", "Write to <EMAIL>."},
              {"<a href=\"mailto:o'neil@example.co.uk\">", "<a href=\"mailto:<EMAIL>\">"},
              {"https://example.org/?mail=joe@example.org&x=1", "https://example.org/?<EMAIL>&x=1"},
              {"ftp://joe:pass@example.org/", "ftp://joe:<EMAIL>/"},
              {"\u8bf7\u8054\u7cfbjoe@example.org\u8c22\u8c22", "\u8bf7\u8054\u7cfb<EMAIL>\u8c22\u8c22"},
              {"a@b.co, c_d@e-f.info; \U0001F600x@y.zone\U0001F600", "<EMAIL>, <EMAIL>; \U0001F600<EMAIL>\U0001F600"}});
  expect_untouched({"medium.com/@writer", "user@localhost", "a @ b.org", "icon@2x.png", "@media screen.and",
                    "a..b@c.org", "x@-y.org", "me@10.0.0.1", std::string(65, 'a') + "@b.org", "git@"});
}

TEST(PersonalData, FindsPublicAddressesAndNoVersions) {
  expect_all({{"from 81.2.69.142, again", "from <IP>, again"},
              {"http://81.2.69.142:8080/x", "http://<IP>:8080/x"},
              {"at 2a00:1450:4009:80b::200e.", "at <IP>."},
              {"[2001:4860:4860:0:0:0:0:8888]", "[<IP>]"}});
  expect_untouched({"version 11.22.33.44",
                    "v81.2.69.142",
                    "Chrome/91.0.44.124",
                    "Section: 10.12.13.14",
                    "3.1.4.1",
                    "10.20.30.40",
                    "192.168.17.1",
                    "172.20.0.33",
                    "127.0.0.1",
                    "203.0.113.77",
                    "255.255.255.0",
                    "81.2.69.142.7",
                    "81.2.69",
                    "281.2.69.142",
                    "81.02.69.142",
                    "2001:db8::33",
                    "fe80::1",
                    "12:34:56",
                    "2023:05:17",
                    "std::2000::x",
                    "2001:4860:4860:0:0:0:8888"});
}

TEST(PersonalData, FindsPhoneNumbersInInternationalForm) {
  expect_all({{"Call +44 20 7946 0958!", "Call <PHONE>!"},
              {"+1 (555) 123-4567", "<PHONE>"},
              {"tel:+4930123456", "tel:<PHONE>"},
              {"+44 (0)20 7946 0958.", "<PHONE>."},
              {"+33.1.23.45.67.89, or", "<PHONE>, or"}});
  expect_untouched({"555-1234", "+1 555", "C++11 2011 2014", "1+12345678901", "+12 345", "+1 234 567 890 123 45",
                    "+0 123 456 789", "+2834567890123", "+5"});
}

TEST(PersonalData, FindsPaymentCardsAndNoOtherLongNumbers) {
  expect_all({{"4111 1111 1111 1111", "<CARD>"},
              {"card 5555555555554444.", "card <CARD>."},
              {"3782-822463-10005", "<CARD>"},
              {"3056 930902 5904 12/27", "<CARD> 12/27"},
              {"2 4111 1111 1111 1111", "2 4111 1111 1111 1111"}});  // may be part of a longer number
  expect_untouched({"4111 1111 1111 1112",                           // Luhn
                    "978-3-16-148410-0",                             // ISBN
                    "9783161484100",                                 // of no network
                    "4111111111111111111111", "0.4111111111111111", "4111111111111111.5", "x4111111111111111",
                    "41 11 11 11 11 11 11 11", "1234567890123452"});
  EXPECT_TRUE(luhn_is_right("79927398713"));
  EXPECT_FALSE(luhn_is_right("79927398710"));
}

TEST(PersonalData, FindsIbans) {
  expect_all({{"IBAN: DE89 3704 0044 0532 0130 00.", "IBAN: <IBAN>."},
              {"GB82WEST12345698765432", "<IBAN>"},
              {"(NO9386011117947)", "(<IBAN>)"}});
  expect_untouched({"DE89370400440532013001", "GB82WEST1234569876543", "XGB82WEST12345698765432",
                    "GB82WEST12345698765432A", "ZZ82WEST12345698765432"});
}

TEST(PersonalData, OfTwoThatOverlapTheLongerStays) {
  EXPECT_EQ(masked("81.2.69.142@example.org"), "<EMAIL>");
  EXPECT_EQ(masked("+4915112345678@example.org"), "+<EMAIL>");
}

TEST(PersonalData, TakesTimeLinearInAnyText) {
  // Texts that make backtracking patterns quadratic or worse. Twice a second each would be far too slow.
  for (const std::string part : {"a.", "@", "a@", "1.", "+1", "1 ", "4 ", "2001:", "AB1", "a.b@", "::"}) {
    std::string text;
    while (text.size() < 3'000'000) text += part;
    std::vector<PersonalData> found;
    find_personal_data(text, {}, found);
    EXPECT_TRUE(found.empty() || found.back().end <= text.size());
  }
}

TEST(PersonalData, PlacesAreInOrderInsideAndApartInRandomText) {
  std::mt19937 random(17);
  const std::string signs = "@+.:-() 0123456789abcDEGB\n";
  std::vector<PersonalData> found;
  for (int i = 0; i < 3000; ++i) {
    std::string text(97, ' ');
    for (char& c : text) c = signs[random() % signs.size()];
    find_personal_data(text, {}, found);
    std::size_t end = 0;
    for (const PersonalData& place : found) {
      ASSERT_LE(end, place.begin);
      ASSERT_LT(place.begin, place.end);
      ASSERT_LE(place.end, text.size());
      end = place.end;
    }
  }
}

TEST(PersonalDataStep, ReplacesDropsOrKeepsByKind) {
  const std::string text = "joe@example.org and ann@example.org at 81.2.69.142";
  PersonalDataStep replace({});
  Document document(text);
  const Outcome outcome = replace.apply(document);
  EXPECT_EQ(document.text(), "<EMAIL> and <EMAIL> at <IP>");
  ASSERT_EQ(outcome.replaced.size(), 2U);
  EXPECT_EQ(outcome.replaced[0].places, 2);
  EXPECT_EQ(outcome.reasons, 0b11U);
  PersonalDataStep drop({.ip = PersonalDataAction::kDrop});
  Document other(text);
  EXPECT_EQ(drop.apply(other).kind, Outcome::Kind::kDropped);
  PersonalDataStep keep({.email = PersonalDataAction::kKeep});
  Document third(text);
  keep.apply(third);
  EXPECT_EQ(third.text(), "joe@example.org and ann@example.org at <IP>");
}

}  // namespace
}  // namespace stoa::trainer
