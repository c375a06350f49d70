// SPDX-License-Identifier: Apache-2.0
//
// locale_scope.h: a locale with UTF-8 for libarchive.
//
// It looks at the locale when it stores a name or reads one: in one without UTF-8 every name that
// is not ASCII would be marked as binary, or not be there.

#ifndef STASIS_RESTORE_TRANSFER_INTERNAL_LOCALE_SCOPE_H_
#define STASIS_RESTORE_TRANSFER_INTERNAL_LOCALE_SCOPE_H_

#include <clocale>

namespace stasis::restore {

// This thread's locale, for the time of a call.
class LocaleScope {
 public:
  LocaleScope() : old_(Utf8() == nullptr ? nullptr : ::uselocale(Utf8())) {}
  ~LocaleScope() {
    if (old_ != nullptr) ::uselocale(old_);
  }
  LocaleScope(const LocaleScope&) = delete;
  LocaleScope& operator=(const LocaleScope&) = delete;

 private:
  // Made once, and never freed: libarchive keeps converters that were made for it.
  static locale_t Utf8() {
    static const locale_t locale = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    return locale;
  }

  locale_t old_;
};

}  // namespace stasis::restore

#endif  // STASIS_RESTORE_TRANSFER_INTERNAL_LOCALE_SCOPE_H_
